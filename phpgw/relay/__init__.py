"""Events on their way to PHP, and replies on their way back."""
