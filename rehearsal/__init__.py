"""The rehearsal: machines, stand-ins and the engine, so that the whole path runs on one computer."""
