"""Odd values for fuzzing: JSON values, parts of targets, values of headers."""

from collections.abc import Sequence

VALUES = (
    b"null true false 0 -0 -0.0 1 -1 0.5 0.01 0.001 1.0 1e0 1E+2 1e-2 1e400 -1e400 1e9999999999 1e-9999999999 0e9999999999 "
    b"1e999999999999999999 1e-999999999999999999 1e99999999999999999999 NaN Infinity -Infinity 01 1. .5 +1 0x10 "
    b"2147483647 2147483648 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 "
    b'9999999999.99 9999999999.995 10000000000 1e15 1e18 1e19 [] {} [[]] [null] [{}] {"a":{}} "" " " "0" "true" "null" '
    b'"\\u0000" "\\ud800" "\\udc00" "\\ud83d\\ude00" "\\u202e" "\\ufeff" "\\u200b" "\\u00ad" "e\\u0301" "\\ufffe" '
    b'"2026-11-16" "2026-11-16T10:00:00Z" "2026-11-16T10:00:00+23:59" "2026-11-16T24:00:00Z" "2026-12-31T23:59:60Z" '
    b'"0001-01-01" "0001-01-01T00:00:00+14:00" "9999-12-31T23:59:59.999999999-12:00" "0000-01-01" "9999-12-31" '
    b'"10000-01-01" "2026-02-30" "infinity" "-infinity" "now" "2026-11-16T10:00:00-00:00" "+442071234567" "a@b.c" '
    b'"ada@example.com" "ADA@EXAMPLE.COM" "\\"@x.example" "a@xn--.example" "a@\\u00fc.example" "http://[::1" '
    b'"http://x:99999/" "javascript:1" "cash" "CARD" "BILL-2026-000001" "CREDIT-9999-999999999999" "%" "_" "\\\\" '
    b'"\'; DROP TABLE orders; --" "{0}" "%s" "%(key)s" "$1" ":name" 1 2 3 5 7 10 20 1000'
).split(b" ")
LONG_VALUES = (
    b"9" * 999,
    b"9" * 4301,
    b"0." + b"9" * 5000,
    b'"' + b"x" * 70_000 + b'"',
    b'"' + "\N{GRINNING FACE}".encode() * 250 + b'"',
    b"[" * 300 + b"]" * 300,
    b"[" * 5000 + b"]" * 5000,
    b"[" + b",".join([b"1.5"] * 3000) + b"]",
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b'"\x1f"',
)
# Short texts of extreme numbers.
EXTREMES = b"1e9999999999 -1e9999999999 1e-9999999999 0e9999999999 1e999999999999999999 1e3999 1e-400".split(b" ")
IGNORED = (b"id_key", b"created_at", b"updated_at", b"returned_total")
UNKNOWN = (b"__class__", b"\\u0000", b"\\ud800", b"a%00", b"$where", b"")
TEXTS = (
    b"0 1 -1 2 3 7 100 1000 1001 9223372036854775807 9223372036854775808 -9223372036854775809 1e3 1.5 0x1 %D9%A1 %2B1 +1 "
    b"%00 a%00b %FF %ED%A0%80 %C0%AF %F0%9F%98%80 %E2%80%AE %0D%0AX:%201 %20 % %2 %zz true false True TRUE yes null "
    b"2026-11-16 0001-01-01 0001-01-01T00:00:00%2B14:00 9999-12-31T23:59:59-14:00 9999-12-31 10000-01-01 infinity now "
    b"2026-11-16T10:00:00Z 2026-11-16T10:00:00+02:00 cash CARD 1,2 1,,2 , order_details bill,client id_key -price,name "
    b"price,price created_at,-id_key x';-- %25 _ \\ * ( [ ~ lamp l%C3%A4mp %D0%BD%D0%BE%D1%83%D1%82 %E6%9C%A8 '%22 .. . a@b.c"
).split()
LONG_TEXTS = (b"9" * 5000, b"x" * 9000, b"%F0%9F%98%80" * 300, b"a " * 10, b"1," * 2000, b"id_key," * 300)
QUERY_NAMES = (b"skip limit after sort q id_key fields expand _ utm_source unknown %00 %FF %ED%A0%80 [] a[b]").split()
PATHS = (
    b"/ // /. /.. /%2e%2e/ /%00 /%ff /%ed%a0%80 /%2f /* /products/%00 /products/%ff/stock /orders/1/unknown /docs /redoc "
    b"/openapi.json /metrics /health_check /health/live /health/ready /favicon.ico /robots.txt /docs-assets/ "
    b"/docs-assets/%2e%2e/main.py /docs-assets/%00 /products/bulk /products/bulk/ /products/bulk_delete /Products "
    b"/products;x /products%3Fa /clients/1/orders/ /products/1/ /products// /%F0%9F%98%80 /products/%F0%9F%98%80"
).split()
HEADERS: dict[bytes, Sequence[bytes]] = {
    b"Idempotency-Key": (
        b"k",
        b"a b",
        b"\xff",
        b"\xe2\x82\xac",
        b'"quoted"',
        b"x" * 255,
        b"x" * 256,
        b"",
        b"\\",
        b"'",
        b"%s",
    ),
    b"If-Match": (
        b"*",
        b"",
        b'"',
        b'""',
        b'W/"1"',
        b'"a", *',
        b"\xff",
        b'"1-2.3"',
        b", ,",
        b'"' + b"x" * 5000 + b'"',
        b"1",
    ),
    b"If-None-Match": (
        b"*",
        b"",
        b'"',
        b'W/"a"',
        b'"a","b"',
        b"\xff\xfe",
        b'"\xe2\x82\xac"',
        b'"x"' * 900,
        b"x",
        b'W/"',
    ),
    b"If-Modified-Since": (b"Sat, 28 Nov 2026 10:00:00 GMT", b"never", b"\xff"),
    b"Accept": (
        b"*/*",
        b"",
        b"text/html",
        b"application/json;q=x",
        b";",
        b",",
        b"\xff/\xff",
        b"a/b;q=1e999",
        b"*/*;q=-1",
    ),
    b"Accept-Encoding": (
        b"gzip",
        b"zstd;q=1",
        b"br, gzip;q=0",
        b"*;q=0",
        b"identity;q=0",
        b"gzip;q=nan",
        b";q=",
        b"\xff",
        b"",
    ),
    b"Accept-Language": (b"\xff", b"de;q=2"),
    b"Content-Type": (
        b"application/json",
        b"application/merge-patch+json",
        b"APPLICATION/JSON; charset=utf-16",
        b"text/plain",
        b"",
        b"/",
        b";",
        b"application/",
        b"\xff",
        b'application/json; boundary="',
        b"a" * 3000,
        b"multipart/form-data",
        b"application/x-www-form-urlencoded",
        b"application/json;charset*=utf-8''%ff",
    ),
    b"Content-Encoding": (b"identity", b"gzip", b"\xff", b"", b","),
    b"Prefer": (
        b"return=minimal",
        b"return=representation",
        b"return=",
        b"=,;",
        b"\xff",
        b'return="minimal',
        b"respond-async",
    ),
    b"X-Request-ID": (b"abc", b"a b", b"\xff", b"x" * 129, b""),
    b"traceparent": (
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-0-0-0",
        b"\xff",
        b"ff-" + b"0" * 60,
    ),
    b"tracestate": (b"a=b", b"\xff", b"=" * 600),
    b"X-Forwarded-For": (b"1.2.3.4", b"::1", b"\xff", b",", b"[", b"fe80::1%eth0", b"1.2.3.4:x", b"999.1.1.1"),
    b"X-Real-IP": (b"\xff", b"::ffff:1.2.3.4"),
    b"Origin": (b"null", b"http://shop", b"https://other.example", b"\xff", b"http://[", b"//", b"http://x:99999"),
    b"Sec-Fetch-Site": (b"same-origin", b"cross-site", b"none", b"\xff"),
    b"Access-Control-Request-Method": (b"PUT", b"\xff"),
    b"Range": (b"bytes=0-1", b"bytes=-", b"bytes=9-1,1-9", b"\xff"),
    b"Cookie": (b"a=b", b"\xff"),
    b"Authorization": (b"Bearer \xff", b"Basic !"),
    b"Upgrade": (b"websocket", b"h2c"),
    b"X-HTTP-Method-Override": (b"DELETE",),
}
HOSTS = (
    b"shop",
    b"shop",
    b"shop:80",
    b"[::1]",
    b"[::1",
    b"\xff",
    b"a b",
    b"shop:99999",
    b"",
    b"127.0.0.1:8000",
    b"xn--",
    b"%00",
)
