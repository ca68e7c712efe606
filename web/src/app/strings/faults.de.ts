/** What is wrong and what to do about it, in German. */

import type { FaultTexts } from "./faults.en";

export const faults: FaultTexts = {
  "bundle-missing": {
    what: "Diese Dateien sind kein Modell.",
    expected: "Der Ordner eines Modells mit manifest.json.",
    got: "Dateien dieses Namens: {got}",
    remedy: "Öffnen Sie den Ordner, in dem manifest.json liegt, nicht den darüber, und alle seine Dateien. Bilder werden unter 2 geöffnet.",
  },
  "bundle-incomplete": {
    what: "Das Modell ist nicht vollständig.",
    expected: "Jede Datei, die das Manifest nennt.",
    got: "Es fehlen: {missing}",
    remedy: "Öffnen Sie den ganzen Ordner. Fehlen dort die Dateien, holen Sie das Modell neu von seiner Quelle.",
  },
  "bundle-unlisted": {
    what: "Im Ordner liegen Dateien, die das Manifest nicht nennt.",
    expected: "Nur Dateien, die das Manifest nennt.",
    got: "Außerdem da: {files}",
    remedy: "Holen Sie das Modell neu von seiner Quelle; legen Sie keine anderen Dateien in seinen Ordner.",
  },
  "bundle-tampered": {
    what: "Die Datei {file} ist nicht die, die das Manifest beschreibt: Sie ist beschädigt oder wurde geändert.",
    remedy: "Verwenden Sie dieses Modell nicht. Holen Sie es neu von seiner Quelle.",
  },
  "bundle-schema": {
    what: "Die Dateien des Modells sind nicht zu verstehen ({where}).",
    remedy: "Holen Sie das Modell neu, oder verwenden Sie eine Fassung dieser Seite, die sein Format kennt.",
  },
  "bundle-too-large": {
    what: "Die Datei {file} ist größer, als die Datei eines Modells sein darf.",
    expected: "Höchstens {most} Byte.",
    got: "{got} Byte.",
    remedy: "Prüfen Sie, ob es der richtige Ordner ist.",
  },
  "digest-malformed": {
    what: "Der erwartete Digest ist kein SHA-256.",
    expected: "64 Hexadezimalziffern.",
    remedy: "Kopieren Sie ihn neu, ohne Leerzeichen und Zeilenumbrüche; oder lassen Sie das Feld leer.",
  },
  "digest-mismatch": {
    what: "Das ist nicht das erwartete Modell: Sein Digest ist ein anderer.",
    remedy: "Öffnen Sie das richtige Modell; oder fragen Sie, zu welchem Modell der Digest gehört.",
  },
  "variant-unknown": {
    what: "Das Modell hat kein solches Netz.",
    expected: "Eines von: {known}",
    got: "{variant}",
    remedy: "Wählen Sie eines, das es hat.",
  },
  "nothing-opened": {
    what: "Unter diesen Dateien ist kein Bild.",
    expected: "TIFF-, PNG- oder JPEG-Schichten, NIfTI (.nii, .nii.gz) oder DICOM.",
    got: "Andere Dateien: {got}",
    remedy: "Öffnen Sie die Dateien oder den Ordner mit den Bildern. Ein Modell wird unter 1 geöffnet.",
  },
  "mixed-inputs": {
    what: "Diese Dateien sind Bilder mehrerer Arten zugleich.",
    expected: "Schichten oder NIfTI oder DICOM.",
    remedy: "Öffnen Sie nur eine Art auf einmal.",
  },
  "several-patients": {
    what: "Diese Schichten stammen aus mehreren Ordnern.",
    expected: "Die Schichten eines Patienten.",
    remedy: "Öffnen Sie den Ordner eines Patienten.",
  },
  "file-too-large": {
    what: "Die Datei {file} ist zu groß.",
    expected: "Höchstens {most} Byte.",
    got: "{got} Byte.",
    remedy: "Prüfen Sie, ob es die richtige Datei ist. Größere Studien verarbeitet der Befehl: brainseg predict.",
  },
  "file-unreadable": {
    what: "Der Browser kann die Datei {file} nicht lesen.",
    expected: "Eine Datei, die noch da ist und gelesen werden darf.",
    remedy: "Prüfen Sie, ob die Datei verschoben oder geändert wurde, und öffnen Sie sie erneut.",
  },
  "image-unknown": {
    what: "Die Datei {file} hat kein Format, das diese Seite liest.",
    expected: "TIFF, PNG, JPEG, NIfTI oder DICOM.",
    remedy: "Exportieren Sie die Bilder in einem dieser Formate.",
  },
  "image-damaged": {
    what: "Die Datei {file} ist beschädigt.",
    remedy: "Exportieren oder kopieren Sie sie neu.",
  },
  "image-truncated": {
    what: "Die Datei {file} hört vorzeitig auf: Ein Teil fehlt.",
    expected: "Eine ganze Datei.",
    remedy: "Kopieren Sie sie neu.",
  },
  "image-size": {
    what: "Das Bild {file} ist zu klein oder zu groß.",
    expected: "Seiten von {least} bis {most} Pixeln.",
    remedy: "Verwenden Sie die Schichten in ihrer eigenen Größe.",
  },
  "image-kind": {
    what: "Das Bild {file} ist von einer Art, die nicht segmentiert werden kann.",
    remedy: "Exportieren Sie es mit 8 Bit und drei Kanälen: T1 vor Kontrastmittel, FLAIR, T1 nach Kontrastmittel.",
  },
  "image-grey": {
    what: "Das Bild {file} hat nur einen Kanal.",
    expected: "Drei Kanäle: T1 vor Kontrastmittel, FLAIR, T1 nach Kontrastmittel.",
    got: "Ein Graukanal.",
    remedy: "Vereinen Sie die drei Sequenzen in einem Bild, oder öffnen Sie die Studie als NIfTI oder DICOM.",
  },
  "slices-differ": {
    what: "Die Schichten sind nicht gleich groß; {file} weicht ab.",
    remedy: "Öffnen Sie die Schichten eines Patienten, alle in ihrer eigenen Größe.",
  },
  "slices-numbers": {
    what: "Die Reihenfolge der Schichten ist unklar, bei {file}.",
    expected: "Eine andere Nummer am Ende jedes Namens.",
    remedy: "Nummerieren Sie die Dateien in der Reihenfolge der Schichten.",
  },
  "slices-missing": {
    what: "Zwischen den vorhandenen Schichten fehlen welche.",
    expected: "Fortlaufende Nummern.",
    got: "Es fehlen: {got}",
    remedy: "Öffnen Sie alle Schichten des Patienten.",
  },
  "too-many-slices": {
    what: "Das sind zu viele Schichten.",
    expected: "Höchstens {most}.",
    remedy: "Öffnen Sie eine Serie, oder verwenden Sie den Befehl: brainseg predict.",
  },
  "nifti-damaged": {
    what: "Die NIfTI-Datei {file} ist beschädigt.",
    remedy: "Wandeln oder kopieren Sie sie neu.",
  },
  "nifti-kind": {
    what: "Die NIfTI-Datei {file} ist von einer Art, die nicht segmentiert werden kann.",
    remedy: "Verwenden Sie je Datei ein Volumen aus Grauwerten.",
  },
  "dicom-damaged": {
    what: "Die DICOM-Datei {file} ist beschädigt.",
    remedy: "Exportieren Sie sie neu aus dem PACS.",
  },
  "dicom-syntax": {
    what: "Die DICOM-Datei {file} ist so komprimiert, wie diese Seite es nicht dekodiert.",
    expected: "Unkomprimierte Bilder, RLE oder verlustfreies JPEG.",
    remedy: "Exportieren Sie sie unkomprimiert, oder verwenden Sie den Befehl, der mehr dekodiert: brainseg predict.",
  },
  "dicom-kind": {
    what: "Die DICOM-Datei {file} ist kein MR-Bild, das segmentiert werden kann.",
    remedy: "Öffnen Sie nur die MR-Serien der Studie.",
  },
  "geometry": {
    what: "Die Serie {series} liegt auf keinem regelmäßigen Gitter; eine Maske könnte an die falsche Stelle kommen.",
    remedy: "Öffnen Sie die vollständige Serie, ohne Lücken, Doppelte und gekippte Gantry.",
  },
  "several-studies": {
    what: "Diese Dateien gehören zu mehreren Studien.",
    expected: "Eine Studie eines Patienten.",
    remedy: "Öffnen Sie eine Studie auf einmal.",
  },
  "roles-unknown": {
    what: "Es ist unklar, welche Serie FLAIR ist oder welche T1 vor und welche nach Kontrastmittel ist.",
    remedy: "Wählen Sie die Serien unten bei „Serien“, oder öffnen Sie nur die drei, die gebraucht werden.",
  },
  "roles-several": {
    what: "Mehrere Serien könnten {role} sein.",
    expected: "Eine.",
    remedy: "Wählen Sie unten bei „Serien“ die richtige, oder lassen Sie die anderen weg.",
  },
  "roles-twice": {
    what: "Die Serie {series} wurde für zwei Sequenzen gewählt.",
    expected: "Eine eigene Serie für jede Sequenz.",
    got: "Zweimal dieselbe.",
    remedy: "Wählen Sie für eine davon eine andere Serie, oder überlassen Sie sie den Kopfdaten.",
  },
  "series-modality": {
    what: "Die Serie {series} ist keine MR-Serie, und die Modelle kennen nur MR.",
    remedy: "Wählen Sie eine MR-Serie.",
  },
  "grids-differ": {
    what: "Die Serie {series} hat ein anderes Gitter als FLAIR, und diese Seite registriert keine Bilder.",
    expected: "Serien auf demselben Gitter.",
    got: "Verschiedene Gitter.",
    remedy: "Verwenden Sie den Befehl, der sie registriert: brainseg predict MODELL STUDIE -o ZIEL",
  },
  "series-values": {
    what: "Die Werte der Serie {series} können nicht die eines MR-Bildes sein.",
    remedy: "Verwenden Sie die Bilder, wie der Scanner sie machte, keine standardisierten oder leeren.",
  },
  "not-loaded": {
    what: "Es ist kein Modell geöffnet.",
    expected: "Ein Modell.",
    got: "Keines.",
    remedy: "Öffnen Sie zuerst ein Modell.",
  },
  "model-failed": {
    what: "Das Netz konnte in diesem Browser nicht gestartet oder gerechnet werden.",
    expected: "Ein Browser mit WebAssembly.",
    remedy: "Laden Sie die Seite neu, oder verwenden Sie ein aktuelles Firefox, Chrome, Edge oder Safari.",
  },
  "out-of-memory": {
    what: "Der Browser hat dafür zu wenig Speicher.",
    expected: "Genug Speicher für die Bilder und das Netz.",
    remedy: "Schließen Sie andere Tabs und laden Sie die Seite neu, oder öffnen Sie weniger Schichten.",
  },
  "cancelled": {
    what: "Die Arbeit wurde abgebrochen.",
    expected: "Ein Ende.",
    got: "Ein Abbruch.",
    remedy: "Starten Sie sie neu, wenn Sie das Ergebnis wollen.",
  },
  "output-kind": {
    what: "Die Maske kann in diesem Format nicht geschrieben werden.",
    remedy: "Speichern Sie sie als TIFF oder NIfTI.",
  },
  "insecure": {
    what: "Der Browser stellt dieser Seite keine Kryptographie bereit; sie kann kein Modell prüfen.",
    expected: "Eine Seite, die über HTTPS oder als localhost geöffnet wurde.",
    got: "Eine Seite, die über einfaches HTTP geöffnet wurde.",
    remedy: "Öffnen Sie die Seite über HTTPS.",
  },
  "update-busy": {
    what: "Die neue Fassung kann jetzt nicht geladen werden: die Seite arbeitet.",
    remedy: "Warten Sie, bis sie fertig ist, oder brechen Sie ab; laden Sie dann die neue Fassung.",
  },
  "update-tabs": {
    what: "Die neue Fassung kann nicht geladen werden, solange diese Seite in anderen Tabs oder Fenstern offen ist.",
    expected: "Ein Tab mit dieser Seite.",
    got: "{got} Tabs",
    remedy: "Schließen Sie die anderen, und laden Sie dann die neue Fassung hier.",
  },
  "busy": {
    what: "Das wurde nicht getan: die Seite arbeitet noch an etwas anderem.",
    remedy: "Warten Sie, bis sie fertig ist, oder brechen Sie ab; versuchen Sie es dann noch einmal.",
  },
  "drop-too-many": {
    what: "Der abgelegte Ordner enthält zu viele Dateien.",
    expected: "Höchstens {most} Dateien.",
    got: "Mehr",
    remedy: "Legen Sie den Ordner einer einzigen Untersuchung ab.",
  },
  "node-unreachable": {
    what: "Der Knoten antwortet nicht.",
    expected: "Eine Antwort.",
    got: "Keine.",
    remedy: "Prüfen Sie das Netz und ob der Knoten läuft. Eigene Modelle und Bilder lassen sich weiter öffnen.",
  },
  "node-token": {
    what: "Der Knoten nimmt dieses Zugangstoken nicht an.",
    expected: "Das Token des Knotens.",
    got: "Ein fehlendes oder falsches.",
    remedy: "Fragen Sie, wer den Knoten betreibt, nach dem Token, und melden Sie sich neu an.",
  },
  "node-refused": {
    what: "Der Knoten hat das abgelehnt.",
    remedy: "Siehe unten, was der Knoten sagt.",
  },
  "node-answer": {
    what: "Die Antwort des Knotens ist nicht zu verstehen.",
    expected: "Die Antwort eines brainseg-Knotens.",
    remedy: "Laden Sie die Seite neu; Seite und Knoten haben vielleicht verschiedene Versionen.",
  },
  "unforeseen": {
    what: "Die Seite traf auf einen Fehler, den sie nicht kennt.",
    expected: "Keiner.",
    remedy: "Laden Sie die Seite neu. Kommt er wieder, melden Sie ihn mit dem Text darüber.",
  },
};
