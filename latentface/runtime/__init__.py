"""Estimators of landmarks, expression and keypoints in onnxruntime: exported, quantised to int8, measured, served."""
