mkdir bun && cd bun && echo '{}' > package.json
bun add ../lib/lib-1.0.0.tgz > /dev/null 2>&1
echo 'import n from "lib"; const m: number = n; console.log(m)' > x.ts
bun x.ts
