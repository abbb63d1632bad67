"""The rules that every node is held to, whatever its operator."""
