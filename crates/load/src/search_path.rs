//! The schema `duto` is our own: no name of a pipeline's table, view or endpoint is looked up in it.

/// Takes the schema `duto` out of the session's search path, also where `"$user"` names it because
/// the role is called `duto`: its tables would be made among ours otherwise, and `position` or
/// `batch` would be ours. Whether the schema is there yet does not matter, so that a session that
/// makes it goes on as it began. A path without it stays as it is.
pub(super) const WITHOUT_OWN_SCHEMA: &str = r#"
    WITH element AS (
        SELECT found[1] AS name, place FROM regexp_matches(current_setting('search_path'),
            '("(?:[^"]|"")*"|[^,"[:space:]]+)', 'g') WITH ORDINALITY AS matched (found, place)
    ), judged AS (
        SELECT name, place, name = '"duto"' OR lower(name) = 'duto'
            OR current_user = 'duto' AND name IN ('"$user"', '$user') AS own FROM element
    )
    SELECT set_config('search_path',
        coalesce(string_agg(name, ', ' ORDER BY place) FILTER (WHERE NOT own), ''), false)
    FROM judged HAVING bool_or(own)"#;
