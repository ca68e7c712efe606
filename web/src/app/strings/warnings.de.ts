/** Reasons to distrust images or a mask, in German. */

import type { WarningTexts } from "./warnings.en";

export const someSlices = "In {slices} von {of} Schichten.";

export const warnings: WarningTexts = {
  "blank-slice": "Leere Schicht: Alle Pixel haben denselben Wert.",
  "constant-channel": "Ein Kanal ist leer: {channel} hat überall denselben Wert.",
  "repeated-channel": "Zwei Kanäle sind dasselbe Bild: {a} und {b}.",
  "squeezed-slice": "Das Bild ist weit vom Quadrat entfernt ({height} × {width}); das Netz sieht es gestaucht.",
  "intensity-mean": "Ungewöhnliche Helligkeit: Das Mittel von {channel} ist {got}, in den Trainingsdaten {low} bis {high}.",
  "intensity-peak":
    "Ungewöhnliche Helligkeit: Der hellste Teil von {channel} ist {got}, in den Trainingsdaten {low} bis {high}.",
  "jpeg-lossy": "Die Bilder sind JPEG, was Pixel verändert; die Maske kann sich mit ihnen ändern.",
  "alpha-dropped": "Die Bilder haben einen Transparenzkanal; er wurde weggelassen.",
  "slices-left-out": "Vorschaubilder oder weitere Seiten in den Dateien wurden weggelassen ({files}).",
  "missing-slices": "Zwischen den vorhandenen Schichten fehlen welche: {numbers}.",
  "sequence-missing": "{role} fehlt; FLAIR steht an ihrer Stelle, und das Ergebnis ist weniger verlässlich.",
  "series-faulty": "Die Serie {series} ist nicht zu gebrauchen und wurde weggelassen.",
  "no-orientation": "{series}: Die Datei sagt nicht, wo rechts und links ist; was als rechts gezeigt wird, ist geraten.",
  "orientations-differ": "{series}: Die zwei Orientierungen der Datei weichen um {got} mm ab; prüfen Sie die Seiten.",
  "body-part": "Die Kopfdaten nennen einen anderen Körperteil als den Kopf: {got}.",
  "images-expected": "{series}: Nach den Kopfdaten sind es {expected} Bilder; hier sind {got}.",
  "single-slice": "{series} hat eine Schicht; ihre Höhe, {got} mm, ist die in den Kopfdaten genannte.",
  "inverted": "{series} ist mit hellen niedrigen Werten gespeichert und wurde umgekehrt.",
  "role-by-time":
    "{series} gilt nur wegen ihrer Uhrzeit als {role}; prüfen Sie das, oder wählen Sie die Serie von Hand.",
  "file-unread":
    "{count} DICOM-Dateien waren nicht zu lesen und wurden weggelassen: {files}. Prüfen Sie, ob von der Studie etwas fehlt.",
  "spacing-stated": "{series}: Die Kopfdaten nennen {stated} mm zwischen Schichten, ihre Positionen {got} mm.",
  "lossy-compression": "{series} wurde verlustbehaftet komprimiert.",
  "duplicate-slices": "{series} enthielt {count} Schichten doppelt; je eine wurde verwendet.",
  "no-registration": "{series} wurde nicht auf FLAIR registriert; nur den Positionen in den Kopfdaten wurde vertraut.",
  "frame-of-reference":
    "{series} hat ein anderes Bezugssystem als FLAIR; der Patient kann sich dazwischen bewegt haben.",
  "no-head": "Keine Schicht zeigt genug Gewebe, um geprüft zu werden.",
  "bright-background":
    "Die Luft um den Kopf ist in {series} hell ({got%} des Gewebes); das Bild kann invertiert oder verschoben sein.",
  "empty-slices":
    "{empty} von {count} Schichten von {series} sind leer, obwohl Schichten auf beiden Seiten etwas zeigen; die Dateien sind zu prüfen.",
  "sequence-order": "Die Sequenzen sind vielleicht vertauscht: {got} sieht aus wie {like}.",
  "fat-suppressed":
    "Die Kopfhaut ist auf FLAIR dunkel ({got} des Gehirns), wie nach Fettunterdrückung; solche Bilder kennt das Netz nicht.",
  "skull-stripped":
    "Der Schädel wurde anscheinend entfernt (Rand {got} des Gehirns); das Netz wurde mit ganzen Köpfen trainiert.",
  "saturation": "Zu hell: {got%} des Kopfes ist in {series} weiß; Werte können abgeschnitten sein.",
  "field-of-view-small": "Der Kopf füllt nur {got%} des Bildes (üblich ist mindestens {least%}).",
  "field-of-view-cut": "Der Kopf ist am Bildrand abgeschnitten ({got%} einer Seite).",
  "no-axial-head": "Das sieht nicht nach axialen Schichten eines Kopfes aus ({longer}, {filled}).",
  "coverage": "{series} bedeckt nur {got%} des Kopfes.",
  "alignment": "{series} und FLAIR liegen nicht aufeinander (Überlappung {got}).",
  "motion": "Der Kopf springt zwischen benachbarten Schichten (Überlappung {got}).",
  "size": "Ein Kopf von {got} mm ist ungewöhnlich ({least} bis {most} mm); prüfen Sie die Pixelgröße.",
  "implausible-mask": "Unplausibel viel ist markiert: {share%}. Verwenden Sie die Maske nicht ungeprüft.",
  "scattered-mask": "Die Maske hat {parts} Teile (üblich sind höchstens {most}). Verwenden Sie sie nicht ungeprüft.",
  "mask-at-edge": "{share%} der Maske liegt in Kopfhaut und Schädel. Verwenden Sie sie nicht ungeprüft.",
  "other-threshold":
    "Die Schwelle {threshold} ist nicht die des Modells ({own}); die Zahlen der Modellkarte gelten dafür nicht.",
};
