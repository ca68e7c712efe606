/** A named fault (exit code 1): what, expected, got and remedy. */
final class Fault extends RuntimeException {
    Fault(String what, Object expected, Object got, String remedy) {
        super(what + "; expected " + expected + "; got " + got + "; " + remedy);
    }

    Fault(String what, Object expected, Object got) {
        this(what, expected, got, "get it again");
    }
}
