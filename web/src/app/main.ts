/** The page's start. */

import { useLanguage } from "./language";
import { Page } from "./page";
import { preferredLanguage, preferredTheme, showTheme } from "./preferences";
import "./styles.css";

showTheme(preferredTheme());
useLanguage(preferredLanguage());
const root = document.getElementById("app");
if (root !== null) new Page(root);
