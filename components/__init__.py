"""The components of the graph, one ComponentResource a file.

They take numbers and texts, and know nothing of stack files, fits or doctors.
"""
