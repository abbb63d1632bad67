"""The native networks that weights of every training system are loaded into."""
