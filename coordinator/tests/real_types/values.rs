//! SQL expressions, each with its type and its value in JSON, in the session time zone
//! America/New_York.

/// Types without parts.
pub(crate) const PLAIN: &[(&str, &str, &str)] = &[
    ("null", "void", "null"),
    ("true", "boolean", "true"),
    ("cast(null as boolean)", "boolean", "null"),
    ("cast(-128 as tinyint)", "tinyint", "-128"),
    ("cast(32767 as smallint)", "smallint", "32767"),
    ("-2147483648", "int", "-2147483648"),
    ("9223372036854775807", "bigint", "9223372036854775807"),
    ("cast(0.1 as float)", "float", "0.1"),
    ("cast('nan' as float)", "float", r#""NaN""#),
    ("0.1d", "double", "0.1"),
    ("1e300d", "double", "1e300"),
    ("cast('-inf' as double)", "double", r#""-Infinity""#),
    ("12.340", "decimal(5,3)", r#""12.340""#),
    ("cast(5 as decimal(10,0))", "decimal(10,0)", r#""5""#),
    (
        "cast('-12345678901234567890.123456789012345678' as decimal(38,18))",
        "decimal(38,18)",
        r#""-12345678901234567890.123456789012345678""#,
    ),
    (r#"'a"b\u00e9\n'"#, "string", r#""a\"bé\n""#),
    ("''", "string", r#""""#),
    ("cast('ab' as char(5))", "string", r#""ab""#),
    ("cast('ab' as varchar(5))", "string", r#""ab""#),
    (
        "'x' collate UNICODE_CI",
        "string collate UNICODE_CI",
        r#""x""#,
    ),
    (
        "array('x' collate UTF8_LCASE)",
        "array<string collate UTF8_LCASE>",
        r#"["x"]"#,
    ),
    ("X'00FF10'", "binary", r#""AP8Q""#),
];

/// Dates, times and intervals.
pub(crate) const TEMPORAL: &[(&str, &str, &str)] = &[
    ("date'2024-02-29'", "date", r#""2024-02-29""#),
    ("date'0001-01-01'", "date", r#""0001-01-01""#),
    ("date'-0044-03-15'", "date", r#""-0044-03-15""#),
    ("date'10000-01-01'", "date", r#""+10000-01-01""#),
    (
        "timestamp'2024-02-29 12:34:56.789'",
        "timestamp",
        r#""2024-02-29T17:34:56.789Z""#,
    ),
    (
        "timestamp'2024-07-01 00:00:00'",
        "timestamp",
        r#""2024-07-01T04:00:00Z""#,
    ),
    (
        "timestamp'294247-01-10T04:00:54.775807Z'",
        "timestamp",
        r#""+294247-01-10T04:00:54.775807Z""#,
    ),
    (
        "timestamp_ntz'2024-02-29 12:34:56.000001'",
        "timestamp_ntz",
        r#""2024-02-29T12:34:56.000001""#,
    ),
    (
        "cast('2020-01-01 00:00:00.123456789' as timestamp_ntz(9))",
        "timestamp_ntz(9)",
        r#""2020-01-01T00:00:00.123456789""#,
    ),
    (
        "cast('2020-01-01 00:00:00.123456789' as timestamp_ltz(7))",
        "timestamp_ltz(7)",
        r#""2020-01-01T05:00:00.1234567Z""#,
    ),
    ("time'12:34:56.789'", "time(6)", r#""12:34:56.789""#),
    ("cast('23:59:59' as time(0))", "time(0)", r#""23:59:59""#),
    ("interval '3' year", "interval year", r#""P3Y""#),
    ("interval '14' month", "interval month", r#""P1Y2M""#),
    (
        "interval '-1-2' year to month",
        "interval year to month",
        r#""P-1Y-2M""#,
    ),
    ("interval '3' day", "interval day", r#""P3D""#),
    ("interval '30' hour", "interval hour", r#""P1DT6H""#),
    ("interval '3' minute", "interval minute", r#""PT3M""#),
    ("interval '3.5' second", "interval second", r#""PT3.5S""#),
    (
        "interval '1 2' day to hour",
        "interval day to hour",
        r#""P1DT2H""#,
    ),
    (
        "interval '1 2:3' day to minute",
        "interval day to minute",
        r#""P1DT2H3M""#,
    ),
    (
        "interval '-1 2:3:4.5' day to second",
        "interval day to second",
        r#""P-1DT-2H-3M-4.5S""#,
    ),
    (
        "interval '2:3' hour to minute",
        "interval hour to minute",
        r#""PT2H3M""#,
    ),
    (
        "interval '2:3:4' hour to second",
        "interval hour to second",
        r#""PT2H3M4S""#,
    ),
    (
        "interval '3:4' minute to second",
        "interval minute to second",
        r#""PT3M4S""#,
    ),
    (
        "make_interval(1,2,3,4,5,6,7.5)",
        "interval",
        r#""P1Y2M25DT5H6M7.5S""#,
    ),
    ("make_interval(0,-1,0,4,-5)", "interval", r#""P-1M4DT-5H""#),
];

/// Types with parts.
pub(crate) const NESTED: &[(&str, &str, &str)] = &[
    ("array(1,null,3)", "array<int>", "[1,null,3]"),
    ("array()", "array<void>", "[]"),
    ("array(null)", "array<void>", "[null]"),
    (
        "map('a',1,'b',null)",
        "map<string,int>",
        r#"[["a",1],["b",null]]"#,
    ),
    ("map()", "map<void,void>", "[]"),
    (
        "map(named_struct('k',1), array(X'01'))",
        "map<struct<k:int>,array<binary>>",
        r#"[[{"k":1},["AQ=="]]]"#,
    ),
    (
        "named_struct('a',1,'b','x')",
        "struct<a:int,b:string>",
        r#"{"a":1,"b":"x"}"#,
    ),
    (
        "named_struct('a',1,'a',2,'b',3)",
        "struct<a:int,a:int,b:int>",
        "[1,2,3]",
    ),
    (
        "named_struct('a b',1,'c:d',2)",
        "struct<a b:int,c:d:int>",
        r#"{"a b":1,"c:d":2}"#,
    ),
    (
        "cast(null as struct<a:int,b:array<string>>)",
        "struct<a:int,b:array<string>>",
        "null",
    ),
    (
        "array(map(1,named_struct('x',array(date'2020-01-01'),'y',null)))",
        "array<map<int,struct<x:array<date>,y:void>>>",
        r#"[[[1,{"x":["2020-01-01"],"y":null}]]]"#,
    ),
    (
        r#"parse_json('{"b":{},"a":[1,2.50,null,true,"x",1e300]}')"#,
        "variant",
        r#"{"a":[1,2.5,null,true,"x",1e300],"b":{}}"#,
    ),
    ("parse_json('null')", "variant", "null"),
    ("cast(null as variant)", "variant", "null"),
    (
        "array(1::tinyint::variant, 300::variant, 9223372036854775807::variant)",
        "array<variant>",
        "[1,300,9223372036854775807]",
    ),
    (
        "array(date'2020-01-01'::variant, timestamp'2020-01-01 00:00:00.5'::variant, \
         timestamp_ntz'2020-01-01 00:00:00'::variant, X'00FF'::variant, 1.25d::variant, \
         12345678901234567890.5::variant, cast('nan' as double)::variant)",
        "array<variant>",
        r#"["2020-01-01","2020-01-01T05:00:00.5Z","2020-01-01T00:00:00","AP8=",1.25,12345678901234567890.5,"NaN"]"#,
    ),
    (
        "to_variant_object(named_struct('zz',1,'a',array(1,2)))",
        "variant",
        r#"{"a":[1,2],"zz":1}"#,
    ),
    (
        "st_geomfromwkb(X'0101000000000000000000F03F0000000000000040')",
        "geometry(0)",
        r#""AQEAAAAAAAAAAADwPwAAAAAAAABA""#,
    ),
    (
        "st_geogfromwkb(X'0101000000000000000000F03F0000000000000040')",
        "geography(4326)",
        r#""AQEAAAAAAAAAAADwPwAAAAAAAABA""#,
    ),
];
