"""What a data set holds, in numbers."""
