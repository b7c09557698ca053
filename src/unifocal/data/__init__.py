"""Cases: files found, paired, read, checked and split; and the built-in phantom."""
