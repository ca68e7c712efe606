/** Files that a person picks: by dialog, a folder with all that is in it, or dropped onto the page. */

import { PageFault } from "./words";

/** Most files that are taken from a dropped folder; a study has hundreds. */
const MOST_FILES = 20_000;

/**
 * All files of what was dropped, those in folders too.
 *
 * @throws PageFault "drop-too-many": a part of a folder could be a part of a volume.
 */
export async function dropped(transfer: DataTransfer): Promise<File[]> {
  // Entries must be taken before anything is waited for: the browser empties the transfer after the event.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...transfer.files];
  const files: File[] = [];
  for (const entry of entries) await collect(entry, files);
  return files;
}

async function collect(entry: FileSystemEntry, into: File[]): Promise<void> {
  if (isFile(entry)) {
    if (into.length >= MOST_FILES) throw new PageFault("drop-too-many", { most: MOST_FILES });
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    // As a folder's dialog has it, so that readers know which files lie together.
    Object.defineProperty(file, "webkitRelativePath", { value: entry.fullPath.replace(/^\//, "") });
    into.push(file);
  } else if (isFolder(entry)) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const each of some) await collect(each, into);
    }
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}
