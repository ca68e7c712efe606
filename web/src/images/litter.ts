// Files that file browsers, archivers, synchronisers and editors leave in folders, and nobody put there on purpose.

/** Files and folders of macOS, Windows, KDE and network drives, lower case. */
const NAMES = new Set([
  ".ds_store", ".localized", ".directory", "icon\r", "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db",
  "ehthumbs_vista.db", "desktop.ini", "__macosx", "@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin",
  "system volume information", "lost+found",
]);

/** Whether a file or folder of this name is ignored, in any folder. */
export function isLitter(name: string): boolean {
  return NAMES.has(name.toLowerCase()) || name.startsWith("._") || name.endsWith("~");
}

/** Whether the finder of images ignores a file: litter, or anything that begins with a dot, in any of its folders. */
export function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith(".") || isLitter(part));
}
