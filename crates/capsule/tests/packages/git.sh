git init -q a && cd a
git config user.email a@example.com && git config user.name a
echo x > x && git add x && git commit -qm one
git clone -q . ../b && git -C ../b log --oneline | wc -l
