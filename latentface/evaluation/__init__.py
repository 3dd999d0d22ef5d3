"""How good results are: pictures against pictures, sets against sets, clips; every figure with its interval."""
