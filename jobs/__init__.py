"""Jobs in a cluster: waits until one has ended, and makes those that show that each node's GPUs compute."""
