"""unifocal: which loss function to train with, on your own data, and how sure you can be."""

__version__ = "0.1.0"
