"""How PHP is asked: who is next, how patiently, and what becomes of the answer."""
