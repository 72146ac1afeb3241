CREATE TABLE events (event_id text PRIMARY KEY, event_type text, user_id bigint, product_id bigint, amount numeric(10,2), at timestamp, payload jsonb);
CREATE TABLE products (product_id bigint PRIMARY KEY, product_name text, category text);
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint, total numeric, "Mixed Case" text, note varchar(20));
CREATE VIEW daily AS SELECT at::date AS date, count(*) AS events, count(DISTINCT user_id) AS users FROM events GROUP BY 1;
