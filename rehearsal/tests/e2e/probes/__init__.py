"""Small programs run through the real engine, to hold the stand-in plugins to the official ones' behaviour.

`expected/` was recorded from the official plugins; `deviations.py` says where a stand-in differs, and why.
"""
