mkdir t
echo a > t/a
python3 -c "import os; os.setxattr('t/a', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))"
tar --xattrs --xattrs-include=security.capability -cf capable.tar -C t a
rm -r t
