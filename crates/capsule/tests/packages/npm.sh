mkdir lib && cd lib && npm init -y > /dev/null && echo 'module.exports = 7' > index.js && npm pack --silent
mkdir ../app && cd ../app && npm init -y > /dev/null
npm install --silent --offline ../lib/lib-1.0.0.tgz
node -e 'console.log(require("lib"))'
