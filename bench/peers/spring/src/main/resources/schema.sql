-- The tables, as far as they are not there yet. Members are looked up by the lock path; nobody
-- checks those of the async path, which would need a foreign key and a way for what it refuses.

CREATE TABLE IF NOT EXISTS concerts (
    id BIGINT NOT NULL PRIMARY KEY,
    capacity BIGINT NOT NULL,
    sold BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS members (
    id BIGINT NOT NULL PRIMARY KEY
);

CREATE TABLE IF NOT EXISTS reservations (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    concert_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    request_id BINARY(16) NULL UNIQUE,
    KEY concert (concert_id),
    KEY member (member_id)
);

-- Setting "fair" only.
CREATE SEQUENCE IF NOT EXISTS reservation_ids INCREMENT BY 1000;
