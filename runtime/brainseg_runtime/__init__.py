"""Brain-tumour segmentation of MRI slices on a workstation: numpy and onnxruntime, nothing else."""
