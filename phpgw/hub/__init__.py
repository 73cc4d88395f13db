"""The connected clients, and the commands that PHP can give about them."""
