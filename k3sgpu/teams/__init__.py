"""What a cluster holds for teams that share its cards: Kubernetes objects as plain values. No I/O."""
