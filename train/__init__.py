"""Offline work on recordings: from annotated ECG to the model the monitor carries.

`recordings` finds them and says which windows are anomalous, `table` lets the monitor itself
compute the features, `fit` learns and is tested on people it has not seen, `export` turns what it
learnt into one small ONNX graph, `evaluate` says how well beats and windows are found. Nothing
under `edge` imports any of it.
"""
