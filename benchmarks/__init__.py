"""What the gateway costs and what it achieves, side by side with its peer and with the bounds."""
