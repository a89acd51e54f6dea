"""All input and output: stores, meters, the register, the command line."""
