"""Everything on machines: the SSH client, their facts, the upload of a release, and the scripts they run."""
