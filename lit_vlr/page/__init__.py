"""`lit-vlr demo-page`: one picture, one question, clean and attacked.

What happens is in `attacking`, what the threshold slider means in `scale`, what it looks like in `rendering`. Gradio,
which is an extra, is imported by the functions of `blocks` and `serving` alone.
"""
