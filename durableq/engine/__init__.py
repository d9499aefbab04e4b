"""Layer 3: the replay loop. Memos in, outcome out; no I/O of its own."""
