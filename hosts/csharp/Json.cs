// Strict JSON (RFC 8259): no key twice, at most 32 levels. Values are Dictionary, List, string, double, bool, null.
// Debian's libraries for mono take comments, single quotes and repeated keys, so this reads by itself.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Object = System.Collections.Generic.Dictionary<string, object>;

sealed class Json
{
    static readonly Regex Token = new Regex(@"\G[ \t\r\n]*(""(?:[^""\\\x00-\x1f]|\\[""\\/bfnrt]|\\u[0-9a-fA-F]{4})*""|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[{}\[\]:,]|\z)");
    readonly string text, name;
    string token;
    int at;

    Json(string text, string name) { this.text = text; this.name = name; Next(); }

    /// <summary>The object in a document of a schema; `name` is the file's, for errors.</summary>
    public static Object Parse(byte[] data, string name, string schema)
    {
        Object value;
        try
        {
            var reader = new Json(new UTF8Encoding(false, true).GetString(data), name);
            value = As<Object>(reader.Value(0), name);
            reader.Take("");
        }
        catch (ArgumentException) { throw new Fault(name + " is not JSON", "UTF-8", "other bytes"); }
        var found = Get<string>(value, "schema");
        if (found != schema) throw new Fault(name + " has an unknown schema", schema, Write(found), "use a host of the same release");
        return value;
    }

    /// <summary>A member of an object, of the type asked for.</summary>
    public static T Get<T>(Object json, string key)
    {
        object value;
        if (!json.TryGetValue(key, out value)) throw new Fault("the JSON lacks a key", key, "others");
        return As<T>(value, key);
    }

    /// <summary>A member that may be left out, which means a usual value.</summary>
    public static T Get<T>(Object json, string key, T usual) { return json.ContainsKey(key) ? Get<T>(json, key) : usual; }

    public static T As<T>(object value, string name)
    {
        if (value is T) return (T)value;
        throw new Fault(name + " is wrong", "a " + typeof(T).Name.Split('`')[0], value == null ? "null" : value.GetType().Name.Split('`')[0]);
    }

    /// <summary>A whole number from `low` to `high`.</summary>
    public static int Whole(object value, string name, int low, int high)
    {
        var number = As<double>(value, name);
        if (!(number >= low && number <= high) || Math.Floor(number) != number) throw new Fault(name + " is wrong", low + " to " + high, number);
        return (int)number;
    }

    /// <summary>A value as text; numbers that are not finite become null.</summary>
    public static string Write(object value)
    {
        if (value is Object) return "{" + string.Join(", ", ((Object)value).Select(m => Write(m.Key) + ": " + Write(m.Value))) + "}";
        if (value is IEnumerable<object>) return "[" + string.Join(", ", ((IEnumerable<object>)value).Select(Write)) + "]";
        if (value is string) return "\"" + string.Concat(((string)value).Select(c => c < 32 || c == '"' || c == '\\' || c > 126 ? "\\u" + ((int)c).ToString("x4") : c.ToString())) + "\"";
        if (value is bool) return (bool)value ? "true" : "false";
        if (value == null || value is double && (double.IsNaN((double)value) || double.IsInfinity((double)value))) return "null";
        return value is double ? ((double)value).ToString("R", CultureInfo.InvariantCulture) : Convert.ToString(value, CultureInfo.InvariantCulture);
    }

    void Next()
    {
        var match = Token.Match(text, at);
        if (!match.Success) throw new Fault(name + " is not strict JSON", "a value or a sign", "something else at character " + at);
        at += match.Length;
        token = match.Groups[1].Value;
    }

    bool Took(string wanted)
    {
        if (token != wanted) return false;
        if (wanted != "") Next();
        return true;
    }

    string Take(string wanted = null)
    {
        var taken = token;
        if (wanted == null) Next();
        else if (!Took(wanted)) throw new Fault(name + " is not strict JSON", wanted == "" ? "its end" : wanted, "something else at character " + at);
        return taken;
    }

    object Value(int depth)
    {
        if (depth >= 32 && (token == "[" || token == "{")) throw new Fault(name + " is not strict JSON", "at most 32 levels", "more");
        if (Took("[")) return Items(depth);
        if (Took("{")) return Members(depth);
        if (token.StartsWith("\"", StringComparison.Ordinal)) return Text();
        var word = Take();
        if (word == "true" || word == "false") return word == "true";
        if (word == "null") return null;
        double number;
        if (!double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out number) || double.IsInfinity(number))
            throw new Fault(name + " is not strict JSON", "a value", "something else at character " + at);
        return number;
    }

    List<object> Items(int depth)
    {
        var items = new List<object>();
        if (Took("]")) return items;
        do items.Add(Value(depth + 1)); while (Took(","));
        Take("]");
        return items;
    }

    Object Members(int depth)
    {
        var members = new Object();
        if (Took("}")) return members;
        do
        {
            var key = Text();
            Take(":");
            if (members.ContainsKey(key)) throw new Fault(name + " is not strict JSON", "each key once", "a key twice");
            members[key] = Value(depth + 1);
        } while (Took(","));
        Take("}");
        return members;
    }

    string Text()
    {
        if (!token.StartsWith("\"", StringComparison.Ordinal)) throw new Fault(name + " is not strict JSON", "a text", "something else at character " + at);
        var raw = Take();
        var plain = Regex.Replace(raw.Substring(1, raw.Length - 2), @"\\(?:u(....)|(.))", escape => escape.Groups[1].Success
            ? ((char)Convert.ToInt32(escape.Groups[1].Value, 16)).ToString()
            : "\"\\/\b\f\n\r\t"["\"\\/bfnrt".IndexOf(escape.Groups[2].Value[0])].ToString());
        new UTF8Encoding(false, true).GetByteCount(plain); // half of a surrogate pair is no text
        return plain;
    }
}
