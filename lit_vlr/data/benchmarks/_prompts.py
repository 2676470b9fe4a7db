"""How short answers are asked for, in the words that LLaVA-1.5 was tuned and published with."""

from __future__ import annotations

SHORT = "{question}\nAnswer the question using a single word or phrase."
LETTER = "{question}\n{options}\nAnswer with the option's letter from the given choices directly."
