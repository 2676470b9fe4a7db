"""How the embedded base model was made: `python -m scripts.tiny_llava --out DIR`, stage by stage, from one seed."""
