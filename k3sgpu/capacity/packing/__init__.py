"""Packing: place pods that request one resource on nodes, and bound how many stay Pending."""
