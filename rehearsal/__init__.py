"""The rehearsal: machines, stand-ins and the engine, so that the whole program runs on one computer."""
