"""Changes to slices and their true masks, such as other scanners and other software make them.

From the ground up:

    slices      a slice with its true mask
    morphology  erosion, growth, holes, components and smoothing of pictures
    brain       head and brain from the pixels of a patient's slices
    geometry    smaller, moved, turned and mirrored heads, other sides and sizes; the mask goes the same way
    intensity   bias field, noise, blur, gamma, linear scaling
    scalp       the scalp dimmed, brightened, removed
    sequences   sequences missing or exchanged
    volume      a patient's slices, with what is known of all of them
    table       the perturbations by name, and `perturbed`, which applies one to a patient

`evaluation` scores models under them. Each function is pure: what it needs of the other slices, and the random numbers
that it draws from, are its arguments. The next perturbation is a function in the module of its kind and an entry in
`table`.
"""
