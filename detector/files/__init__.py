"""How files of other people and of other processes are met: what is opened, how much of it, under which names."""
