"""What is measured on label maps: volume, overlap, surface distances, connected components."""
