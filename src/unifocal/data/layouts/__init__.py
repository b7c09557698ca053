"""The general layouts of data sets: two folders, nnU-Net, Decathlon, BIDS, a folder per case."""
