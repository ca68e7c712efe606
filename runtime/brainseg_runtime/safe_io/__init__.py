"""Input and output of the process, checked: files, JSON, arguments.

- `files`: written whole or not at all, read under a cap; `special_files` are devices and pipes, `litter` is what file
  browsers leave in folders.
- `exclusive`: one process at a time.
- `output_paths`: refuses, before any work, outputs that would overwrite inputs or each other.
- `strict_json`: JSON from outside, read without trust.
- `typed_json`: dataclasses to JSON and back by their annotations. Another kind of annotation is a method there.
- `system_faults`: refusals of the system (memory, space, permission) as named errors.
- `arguments`: arguments other than images, checked on entry.
"""
