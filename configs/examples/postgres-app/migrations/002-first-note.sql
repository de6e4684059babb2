INSERT INTO notes (text) VALUES ('written by the migration');
