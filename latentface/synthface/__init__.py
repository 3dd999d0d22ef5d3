"""Synthetic faces with ground truth: head model, wardrobe, scene, renderer, dataset.

Needs the extra ``synth`` (moderngl). The head files are not part of the package: ``python -m
latentface.synthface.build`` makes one ``heads.npz`` from ICT-FaceKit (MIT) and MakeHuman (CC0) downloads.
"""
