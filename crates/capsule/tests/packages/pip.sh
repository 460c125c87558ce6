export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
python3 - <<'PYTHON'
import zipfile
wheel = zipfile.ZipFile('hello-1-py3-none-any.whl', 'w')
wheel.writestr('hello/__init__.py', 'def say(): print("hi")\n')
wheel.writestr('hello-1.dist-info/METADATA', 'Metadata-Version: 2.1\nName: hello\nVersion: 1\n')
wheel.writestr('hello-1.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
wheel.writestr('hello-1.dist-info/RECORD', '')
wheel.close()
PYTHON
pip3 install -q --no-index ./hello-1-py3-none-any.whl
python3 -c 'import hello; hello.say()'
pip3 uninstall -q -y hello
