"""Host facts, and the rules that judge them."""
