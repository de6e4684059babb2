python3 -c "import os; os.setxattr('a', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))"
python3 -c "import os; os.setxattr('b', 'user.note', b'x')"
