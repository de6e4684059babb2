mkdir -p d/empty/deeper d/other
